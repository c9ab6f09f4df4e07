def handle(event, context):
    """Answer one request.

    event has body (bytes), headers, method, query and path; context has hostname.
    """
    return {"statusCode": 200, "body": {"message": "Hello from Tidemill!"}}
