"""What a WSDL and its XML Schemas say, compiled once into linked components."""
