"""`${VAR}` expressions in a stack file."""

import pytest

from tidemill.contract.envsubst import BadExpression, expand

ENVIRON = {"NAME": "Tide-mill", "EMPTY": "", "FILE": "path/to/file.tar.gz", "BACK": "a\\b"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain $text with a brace }", "plain $text with a brace }"),
        ("${NAME}", "Tide-mill"),
        ("<${UNSET}>", "<>"),
        ("${#NAME}", "9"),
        ("${NAME^^} ${NAME,,} ${NAME,} ${FILE^}", "TIDE-MILL tide-mill tide-mill Path/to/file.tar.gz"),
        ("${NAME:5} ${NAME:0:4}", "mill Tide"),
        ("${FILE#*/} ${FILE##*/}", "to/file.tar.gz file.tar.gz"),
        ("${FILE%.*} ${FILE%%.*}", "path/to/file.tar path/to/file"),
        ("${FILE#nothing}", "path/to/file.tar.gz"),
        ("${UNSET-a} ${EMPTY-a} ${UNSET:-a} ${EMPTY:-a} ${NAME:-a}", "a  a a Tide-mill"),
        ("${UNSET=a} ${EMPTY:=a}", "a a"),
        ("${UNSET:-}", ""),
        ("${FILE/t/T} ${FILE//t/T}", "paTh/to/file.tar.gz paTh/To/file.Tar.gz"),
        (
            "${FILE/#path/here} ${FILE/%gz/xz} ${FILE/%no/xz}",
            "here/to/file.tar.gz path/to/file.tar.xz " + "path/to/file.tar.gz",
        ),
        ("${FILE//\\//-} ${FILE/./}", "path-to-file.tar.gz path/to/filetar.gz"),
        ("${UNSET:-pre-${NAME}-${OTHER:-x}}", "pre-Tide-mill-x"),
        ("${UNSET:-${BACK}}", "a\\b"),
        ("$${NAME} ${NAME}", "${NAME} Tide-mill"),
        ("^(a|b)$ {$ne: 1}", "^(a|b)$ {$ne: 1}"),
    ],
)
def test_expressions(text: str, expected: str) -> None:
    """Each documented expression gives what the OpenFaaS tools give; a lone dollar sign is left alone."""
    assert expand(text, ENVIRON) == expected


@pytest.mark.parametrize(("text", "line"), [("a\nb: ${NAME", 2), ("${}", 1), ("a\n\n${NAME!}", 3), ("${1}", 1)])
def test_what_cannot_be_expanded_names_the_line(text: str, line: int) -> None:
    """A typo is told with its place, rather than sent along."""
    with pytest.raises(BadExpression) as caught:
        expand(text, ENVIRON)
    assert caught.value.line == line
