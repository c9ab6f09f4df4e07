"""The smallest Flask handler: what is measured is everything around it."""


def handle(req):
    """Echo the size of the body."""
    return f"hello, {len(req)} bytes\n"
