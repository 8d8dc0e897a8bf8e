# Unit cells of single particles from electron diffraction tomography, and ion contents by them.
#
# in:  what programs for 3D electron diffraction wrote, CIFs
# out: cells/<cell>.nc; from them cells.csv, figures/cells.png
#
# config:
#   tables: {cells: config/demo/cells.tsv}
#   cells: {distortion_error: 0.01, camera_length_error: 0.02, largest_ion_error: 0.1}
#   material:
#     ion: Na
#     parent_point_group: 4/mmm
#     phases:
#       - {name: Na3, label: Na$_3$V, ion_content: 3, parent_axes: [[1, 0, 0], [0, 1, 0], [0, 0, 1]], cell_from: [particle-1]}


rule read_cell:
    input:
        files=lambda wildcards: PLAN.cells.loc[wildcards.cell, "paths"],
        cifs=cifs_of_cell,
        code=code("read_cell"),
    output:
        **recorded(cell="cells/{cell}.nc"),
    log:
        logged("read_cell/{cell}"),
    conda:
        "../../envs/environment.yaml"
    params:
        row=stated("cell.{cell}.row"),
        settings=stated("cells"),
        names=stated("material.names"),
        ion_contents=stated("material.ion_contents"),
        shared_lattice=stated("material.shared_lattice"),
        cells_from=stated("material.cells_from"),
    shell:
        "python scripts/read_cell.py --files {input.files:q} --row {params.row:q}"
        " --cifs {input.cifs:q} --names {params.names:q} --ion-contents {params.ion_contents:q}"
        " --shared-lattice {params.shared_lattice:q} --settings {params.settings:q}"
        " --cells-from {params.cells_from:q}"
        " --cell {output.cell} > {log} 2>&1"


rule tabulate_cells:
    input:
        cells=result("cells/{cell}.nc", cell=PLAN.cells.index),
        cifs=CIFS,
        code=code("tabulate_cells"),
    output:
        **recorded(table="cells.csv"),
        **pictured("figure", "figures/cells.png", "cells", "Cells"),
    log:
        logged("tabulate_cells"),
    conda:
        "../../envs/environment.yaml"
    params:
        names=stated("material.names"),
        labels=stated("material.labels"),
        ion=stated("material.ion"),
        ion_contents=stated("material.ion_contents"),
        shared_lattice=stated("material.shared_lattice"),
    shell:
        "python scripts/tabulate_cells.py --cells {input.cells} --cifs {input.cifs:q}"
        " --names {params.names:q} --labels {params.labels:q}"
        " --ion {params.ion} --ion-contents {params.ion_contents:q}"
        " --shared-lattice {params.shared_lattice:q} --table {output.table}"
        " --figure {output.figure} > {log} 2>&1"
