"""SOAP in front of which stands a JSON API: everything is derived from the WSDL."""
