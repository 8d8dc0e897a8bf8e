"""What a paper cites for the programs that took part in a run."""

from __future__ import annotations

# Reference and DOI, or address where there is no paper, by the name of the distribution.
CITATIONS = {
    "snakemake": "Mölder et al., F1000Research 10, 33 (2021), doi:10.12688/f1000research.29032.2",
    "numpy": "Harris et al., Nature 585, 357 (2020), doi:10.1038/s41586-020-2649-2",
    "scipy": "Virtanen et al., Nat. Methods 17, 261 (2020), doi:10.1038/s41592-019-0686-2",
    "numba": "Lam et al., Proc. LLVM-HPC 7 (2015), doi:10.1145/2833157.2833162",
    "xarray": "Hoyer and Hamman, J. Open Res. Softw. 5, 10 (2017), doi:10.5334/jors.148",
    "pandas": "McKinney, Proc. SciPy 56 (2010), doi:10.25080/Majora-92bf1922-00a",
    "scikit-image": "van der Walt et al., PeerJ 2, e453 (2014), doi:10.7717/peerj.453",
    "statsmodels": "Seabold and Perktold, Proc. SciPy 92 (2010), doi:10.25080/Majora-92bf1922-011",
    "matplotlib": "Hunter, Comput. Sci. Eng. 9, 90 (2007), doi:10.1109/MCSE.2007.55",
    "gemmi": "Wojdyr, J. Open Source Softw. 7, 4200 (2022), doi:10.21105/joss.04200",
    "orix": "Johnstone et al., J. Appl. Cryst. 53, 1293 (2020), doi:10.1107/S1600576720011103",
    "diffsims": "doi:10.5281/zenodo.3337900",
    "rosettasciio": "doi:10.5281/zenodo.8011666",
    "rietx": "https://github.com/yue-here/rietx",
    "odrpack": "https://github.com/HugoMVale/odrpack-python",
    "galvani": "https://github.com/echemdata/galvani",
    "access_parser": "https://github.com/ClarotyICS/access_parser",
    "datalab-org-galvani": "https://github.com/datalab-org/galvani-mirror",
    "fastnda": "https://github.com/empaeconversion/fastnda",
}
