"""The web server: a page, an API and a WebSocket over one shared set of models."""
