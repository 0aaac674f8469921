"""Verbs that take runs to where people work: the Hugging Face hub, TensorBoard."""

from __future__ import annotations

from lgsf.system.project.verbs import Arguments, argument, option, path, verb


@verb("write the curves of trainings for TensorBoard or as a table",
      "results/scenes/lgsf/seed0 --out curves",
      runs=argument(type=path, nargs="+", metavar="RUN"),
      format=option(choices=("tensorboard", "csv"), default="tensorboard"),
      out=option(type=path))  # fmt: skip
def export_curves(a: Arguments) -> None:
    from lgsf.sharing.curves import export_curves

    for file in export_curves(a.runs, form=a.format, out=a.out):
        print(file)


@verb("publish a trained run on the Hugging Face hub",
      "results/scenes/lgsf/seed0 --dataset resources/scenes --repo me/lgsf-scenes",
      run=argument(type=path, metavar="RUN"),
      dataset=option(type=path),
      repo=option(),
      private=option(choices=("yes", "no"), default="yes"),
      licence=option(default=None),
      card=option(type=path, default=None))  # fmt: skip
def push_to_hub(a: Arguments) -> None:
    from lgsf.sharing.push import push_to_hub

    print(
        push_to_hub(
            run=a.run, dataset=a.dataset, repo=a.repo, private=a.private == "yes", licence=a.licence, out=a.card
        )
    )
