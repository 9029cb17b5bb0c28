"""APIv2: XML, signed with a digest."""
