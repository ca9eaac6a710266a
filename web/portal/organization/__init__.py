"""What the organization says about itself."""
