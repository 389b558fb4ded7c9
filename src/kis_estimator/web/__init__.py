"""The API over HTTP: who calls, what comes in, one use case, what goes out."""
