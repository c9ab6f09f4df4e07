"""What a query may cost, checked before any of it runs."""

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    parse,
    validate,
)

from tidemill.contract.errors import BadRequest

LONGEST_QUERY = 10_000
MOST_TOKENS = 2_000
DEEPEST = 15  # the usual introspection query needs 14, any real one 4
MOST_FIELDS = 500
MOST_ROOT_FIELDS = 10  # each is a question to the database


def checked_document(schema, query):
    """The parsed query. Raises BadRequest naming the first thing that is wrong with it."""
    if len(query) > LONGEST_QUERY:
        raise BadRequest(f"the query is longer than {LONGEST_QUERY} characters")
    try:
        document = parse(query, max_tokens=MOST_TOKENS)
    except (GraphQLError, RecursionError) as error:
        raise BadRequest(str(error)) from error
    errors = validate(schema, document, max_errors=1)
    if errors:
        raise BadRequest(str(errors[0]))
    check_size(document)
    return document


def check_size(document):
    """Fragments count wherever they are spread. The document must be valid, so that they have no cycle."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    known = {}

    def size(node):
        """Depth and number of fields of what is selected below `node`; each fragment is measured once."""
        depth = fields = 0
        for selected in node.selection_set.selections if node.selection_set else ():
            below_depth, below_fields = below(selected)
            depth, fields = max(depth, below_depth), fields + below_fields
        return depth, fields

    def below(selected):
        if isinstance(selected, FieldNode):
            depth, fields = size(selected)
            return depth + 1, fields + 1
        if isinstance(selected, FragmentSpreadNode):
            name = selected.name.value
            if name not in known:
                known[name] = size(fragments[name])
            return known[name]
        return size(selected)  # an inline fragment

    def root_fields(node):
        count = 0
        for selected in node.selection_set.selections:
            if isinstance(selected, FieldNode):
                count += 1
            elif isinstance(selected, FragmentSpreadNode):
                count += root_fields(fragments[selected.name.value])
            else:
                count += root_fields(selected)
        return count

    for operation in document.definitions:
        if not isinstance(operation, OperationDefinitionNode):
            continue
        depth, fields = size(operation)
        if depth > DEEPEST:
            raise BadRequest(f"the query is {depth} levels deep, and {DEEPEST} are allowed")
        if fields > MOST_FIELDS:
            raise BadRequest(f"the query asks for {fields} fields, and {MOST_FIELDS} are allowed")
        if root_fields(operation) > MOST_ROOT_FIELDS:
            raise BadRequest(f"the query asks more than {MOST_ROOT_FIELDS} questions at once")
