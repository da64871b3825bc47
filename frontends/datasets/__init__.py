"""The field's data sets as they are downloaded: where their samples lie, and their frames."""
