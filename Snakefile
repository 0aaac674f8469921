# Lets a bare `snakemake` in the root find the workflow; everything is in workflow/.
include: "workflow/Snakefile"


rule default:
    default_target: True
    input:
        rules.all.input,
