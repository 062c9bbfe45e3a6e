"""What lies on disk: tensors, cohort tables, embeddings."""
