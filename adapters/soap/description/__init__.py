"""A WSDL as partners and ops read it: JSON Schema, OpenAPI, routes."""
