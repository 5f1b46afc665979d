"""Chaos experiments: a fault with its steady state, abort rule, proof that it landed and undo, run by Chaos Toolkit
inside pytest.
"""
