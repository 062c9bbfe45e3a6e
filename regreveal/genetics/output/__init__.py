"""What a GWAS writes: tables, their layouts, points for plots, the folder and its summary."""
