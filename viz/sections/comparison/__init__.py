"""The parts of the page Comparison."""
