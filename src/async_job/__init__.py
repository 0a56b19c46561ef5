"""Jobs that are started over HTTP, run in the background, and can be asked about as long as they are kept."""
