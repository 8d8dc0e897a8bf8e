"""What people read: pictures, tables, conclusions, methods."""
