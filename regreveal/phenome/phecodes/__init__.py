"""Phecodes: from hospital records and diagnosis codes to cases, controls and those excluded."""
