"""VCF files from text, compressed and indexed by htslib's own programs."""

import pysam
import pysam.bcftools

HEADER = """##fileformat=VCFv4.3
##contig=<ID=1,length=1000000>
##contig=<ID=2,length=1000000>
##contig=<ID=X,length=1000000>
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
"""
DOSAGE = '##FORMAT=<ID=DS,Number=A,Type=Float,Description="Dosage">\n'
COLUMNS = "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT"


def vcf_text(samples, records, header=HEADER):
    """Records are lines, their fields separated by spaces."""
    lines = [" ".join([COLUMNS, *samples]), *records]
    return header + "".join(line.replace(" ", "\t") + "\n" for line in lines)


def write_vcf(path, text, index=False):
    """Write text as the format that the suffix of the path says."""
    plain = path.with_name("plain.vcf")
    plain.write_text(text)
    if path.suffix == ".bcf":
        pysam.bcftools.view("-Ob", "-o", str(path), str(plain), catch_stdout=False)
    elif path.suffix == ".vcf":
        path.write_text(text)
    else:
        pysam.tabix_compress(str(plain), str(path), force=True)
    if index:
        pysam.bcftools.index("-f", str(path))
    return path
