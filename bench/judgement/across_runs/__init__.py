"""What two and more runs say together: comparable or not, changed or not."""
