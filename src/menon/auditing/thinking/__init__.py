"""How much of a model's thinking is needed: efficiency of what it wrote, accuracy under an enforced token budget."""
