"""Ways in which an official signs a document as PDF, each behind the same interface."""
