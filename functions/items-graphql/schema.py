"""The items as a GraphQL schema, and the root that answers its queries."""

from graphql import build_schema

from tidemill.lib.items import check_id, next_page

SCHEMA = build_schema(
    '''
    """A moment in RFC 3339, UTC."""
    scalar Moment

    enum Status { queued in_progress processed failed }

    type Image {
      format: String!
      width: Int!
      height: Int!
      mode: String!
      frames: Int!
      size_bytes: Int!
      sha256: String!
    }

    type Thumbnail { name: String! key: String! width: Int! height: Int! size_bytes: Int! }

    type Item {
      id: ID!
      status: Status!
      key: String!
      created_at: Moment!
      updated_at: Moment!
      attempts: Int!
      effects: Int!
      image: Image
      thumbnails: [Thumbnail!]
      reason: String
    }

    type Page {
      items: [Item!]!
      """Give this as `after` to get the next page; null at the end."""
      next: String
    }

    type Query {
      item(id: ID!): Item
      items(first: Int = 20, after: String, status: Status): Page!
    }
    '''
)


class Query:
    """The root value: each field of `Query` is a method. `items` gives the store, connected at the first use."""

    def __init__(self, items):
        self._items = items

    def item(self, info, id):
        item = self._items().find(check_id(id))
        return item and graphql_item(item)

    def items(self, info, first=None, after=None, status=None):
        wanted = status and status.replace("_", "-")
        page = next_page(self._items(), limit=first, token=after, status=wanted)
        return {"items": [graphql_item(item) for item in page.items], "next": page.next}


def graphql_item(item):
    """GraphQL names have no dashes, so the status `in-progress` is `in_progress` here."""
    wire = item.as_wire()
    return {**wire, "status": wire["status"].replace("-", "_")}
