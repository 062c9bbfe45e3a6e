"""Experiment files that are deep, or lead where they should not."""

from .cases import case


@case("experiment file nested 100,000 deep", "not valid TOML")
def toml_depth(folder):
    from regreveal.experiment.experiment_file import parse_experiment

    parse_experiment("a=" + "[" * 100_000, folder / "a.toml")


@case("description of an arm nested 200,000 deep", "arm.json: cannot be read")
def json_depth(folder):
    from regreveal.report.folder.reading import read_json

    (folder / "arm.json").write_text("[" * 200_000)
    read_json(folder / "arm.json")


@case("description of an arm that is a number", "no names and values")
def json_number(folder):
    from regreveal.report.folder.reading import read_json

    (folder / "arm.json").write_text("5")
    read_json(folder / "arm.json", "shape")


@case("experiment file with a number of 5,000 digits", "not valid TOML")
def toml_digits(folder):
    from regreveal.experiment.experiment_file import parse_experiment

    parse_experiment(f"seed = {'9' * 5000}", folder / "a.toml")


@case("experiment file whose data climb out of their folder", "leads out of its folder by '..'")
def toml_climbing(folder):
    read_experiment(folder, "folder = 'biobank'\ncohort = 'biobank/../../../etc/passwd'\n")


@case("experiment file whose whole path climbs", "leads out of its folder by '..'")
def toml_climbing_from_the_root(folder):
    read_experiment(folder, f"folder = '{folder}/biobank/../../elsewhere'\n")


@case("experiment file whose reference climbs", "leads out of its folder by '..'")
def toml_climbing_reference(folder):
    registration = "method = 'Homography'\ninput = 'dxa.dxa_2'\nreference = '../../secret.png'\n"
    read_experiment(folder, "[data.simulate]\n[arms.a.registration]\n" + registration)


@case("experiment file with an arm that names a path", "expected letters, digits, - and _")
def toml_arm_of_a_path(folder):
    read_experiment(folder, "[data.simulate]\n[arms.'../../a']\ntensor_map = 'ecg.rest_10s'\n")


def read_experiment(folder, tables):
    from regreveal.experiment.experiment_file import parse_experiment

    table = "" if tables.startswith("[") else "[data]\n"
    arm = "[arms.a]\ntensor_map = 'ecg.rest_10s'\n"
    return parse_experiment(f"title = 't'\n{table}{tables}{arm}", folder / "a.toml")


@case("recipe beside a model that names data", "names data of its own")
def recipe_data(folder):
    read_recipe(folder, '[data]\nfolder = "/etc"\n[arms.a]\ntensor_map = "ecg.rest_10s"\n')


@case("recipe beside a model that names an image", "names data of its own")
def recipe_reference(folder):
    read_recipe(
        folder,
        "[data.simulate]\nparticipants = 100\n"
        '[arms.a]\ntensor_map = "dxa.dxa_2"\n[arms.a.registration]\ninput = "dxa.dxa_2"\n'
        'method = "Homography"\nreference = "/etc/passwd"\n',
    )


@case("recipe beside a model that names a package", "names a package of its own")
def recipe_package(folder):
    read_recipe(
        folder,
        '[data.simulate]\nparticipants = 100\n[arms.a]\ntensor_map = "ecg.rest_10s"\n',
        'tensormaps = "antigravity"\n',
    )


def read_recipe(folder, tables, keys=""):
    from regreveal.experiment.experiment_file import load_experiment

    (folder / "model.json").write_text("{}")
    (folder / "recipe.toml").write_text(f'title = "t"\n{keys}{tables}')
    return load_experiment(folder / "recipe.toml")
