"""Verbs that take runs to where people work: the Hugging Face hub, TensorBoard."""

from __future__ import annotations

from lgsf.system.project.verbs import Arguments, argument, option, path, verb


@verb("write the curves of trainings for TensorBoard or as a table",
      runs=argument(type=path, nargs="+", metavar="RUN", help="folders of trained runs"),
      format=option(choices=("tensorboard", "csv"), default="tensorboard", help="what reads them"),
      out=option(type=path, help="folder that they are written into"))  # fmt: skip
def export_curves(a: Arguments) -> None:
    from lgsf.sharing.curves import export_curves

    for file in export_curves(a.runs, form=a.format, out=a.out):
        print(file)


@verb("publish a trained run on the Hugging Face hub",
      run=argument(type=path, metavar="RUN", help="folder of a trained run"),
      dataset=option(type=path, help="the prepared dataset that it was trained on"),
      repo=option(help="OWNER/NAME of the repository, which is made where it does not exist"),
      private=option(choices=("yes", "no"), default="yes", help="whether a new repository is for its owner alone"),
      licence=option(default=None, help="of the weights, in the hub's words, such as apache-2.0"),
      card=option(type=path, default=None, help="write the model card here and send nothing"))  # fmt: skip
def push_to_hub(a: Arguments) -> None:
    from lgsf.sharing.push import push_to_hub

    print(
        push_to_hub(
            run=a.run, dataset=a.dataset, repo=a.repo, private=a.private == "yes", licence=a.licence, out=a.card
        )
    )
