"""The pages of the inventory: what people read in a browser, what they change there."""
