"""What several arms, or two runs, say together: Table 2, shared loci, tables as LaTeX."""
