"""Detectors of memorised items, one file each; the probe `memorisation` runs those that can be run.

min_k, loss_gap, likelihood   are items likelier than re-instantiations of themselves?
ranks, option_order, set_order   is the published order likelier than shuffles?
completion                    is a question continued word for word?
overlap, contamination        does the training text hold the items?
exposure, canaries            how far up do planted secrets stand among all fills?
"""
