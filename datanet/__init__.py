"""Who contributed what: records, shards, precedence of duplicates, blobs, the credit map."""
