"""What is kept: rows in PostgreSQL, objects in storage, jobs in a queue."""
