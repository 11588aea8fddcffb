"""What a user can change while music plays."""
