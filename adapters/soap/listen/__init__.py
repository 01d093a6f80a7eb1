"""The other direction: SOAP clients call, a JSON API answers."""
