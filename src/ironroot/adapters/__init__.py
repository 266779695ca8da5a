"""One file per outside thing; each implements a port of a domain. Imported by app alone."""
