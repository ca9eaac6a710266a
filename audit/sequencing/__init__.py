"""From the journal into the log: order, numbers, the tree, and what finds entries again."""
