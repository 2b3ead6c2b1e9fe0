"""What a phone says and hears: sync of records, photos in, and the rules of a visit."""
