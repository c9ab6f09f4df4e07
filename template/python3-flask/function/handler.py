def handle(req):
    """Answer one request; req is its body as text."""
    return req
