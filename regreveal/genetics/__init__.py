"""Genotypes, the multivariate latent GWAS, loci and SNP clusters."""
