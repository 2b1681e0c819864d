"""Do answers come from procedures or from facts? The findings of Ruis et al. 2024 where the truth is known."""
