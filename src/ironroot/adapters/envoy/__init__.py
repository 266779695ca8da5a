"""The HTTP front door: Envoy, configured by one generated file, its certificates swapped without dropping a connection."""
