"""Reading recipes: what is accepted, what is refused, and the message."""

import pytest

from mien.core.errors import RecipeError
from mien.recipes import load_recipe, names

MINIMAL = 'name = "mine"\n[network]\nname = "resnet18"\n'


@pytest.fixture
def recipe_file(tmp_path):
    def write(text):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize("name", names())
def test_every_shipped_recipe_is_valid_and_named_after_its_file(name):
    assert load_recipe(name).name == name


def test_first_half_of_a_name_is_enough_when_unambiguous():
    assert load_recipe("default").name == "default/fer2013"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet18", "ambiguous.*resnet18/fer2013, resnet18/synthetic"),
        ("despan/fer2013", "Did you mean 'despam/fer2013'"),
        ("nowhere.toml", r"No recipe file nowhere\.toml"),
    ],
)
def test_unknown_names_are_one_clear_line(name, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            MINIMAL + "[optimizer]\nlearning_rate = 1\n",
            r"unknown key 'optimizer.learning_rate'.*Keys there: name, lr",
        ),
        (MINIMAL + "[optimiser]\nlr = 1\n", r"unknown key 'optimiser'\. Did you mean 'optimizer'\?"),
        (MINIMAL + "[optimizer]\nlr = -1\n", r"'optimizer.lr' = -1"),
        (MINIMAL + "[schedule]\nepochs = 'many'\n", r"'schedule.epochs' = 'many'"),
        ("name = 'x'\n", "the key 'network' is missing"),
        ("name = ", "is not TOML"),
        (MINIMAL + "[schedule]\nwarmup_epochs = inf\n", r"'schedule.warmup_epochs' = inf: .*finite"),
        (MINIMAL + "[augmentation]\nmixup = inf\n", r"'augmentation.mixup' = inf: .*finite"),
        (MINIMAL + "[augmentation]\nrandaugment_magnitude = 30\n", r"'augmentation.randaugment_magnitude' = 30"),
        ("ablation = 5\n" + MINIMAL, r"'ablation' holds tables, \[ablation\.NAME\]"),
        (MINIMAL + "[ablation.a]\nextends = 'b'\n[ablation.b]\n", r"'a' extends 'b', which is not an earlier ablation"),
        (MINIMAL + "[ablation]\ny = 5\n", r"'ablation' holds tables, \[ablation\.NAME\]"),
    ],
)
def test_bad_content_is_one_clear_line(recipe_file, text, message):
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(recipe_file(text))
    assert "\n" not in str(caught.value)


def test_overrides_are_toml_values_or_plain_words():
    recipe = load_recipe("despam/fer2013", ["schedule.epochs=3", "optimizer.name=sgd", "network.options.dropout=0.5"])
    assert recipe.schedule.epochs == 3
    assert recipe.optimizer.name == "sgd"
    assert recipe.network.options["dropout"] == 0.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schedule.epoch=3", r"unknown key 'schedule.epoch'\. Did you mean 'epochs'\?"),
        ("schedule.epochs", r"expected key.subkey=value"),
    ],
)
def test_bad_overrides(text, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe("despam/fer2013", [text])


def test_ablation_replaces_and_unknown_ablation_lists():
    assert load_recipe("despam/fer2013", ablation="no_modulator").network.modulators == {"stage2": "none"}
    with pytest.raises(RecipeError, match=r"Did you mean 'no_modulator'\? Ablations: no_modulator"):
        load_recipe("despam/fer2013", ablation="no_modulators")


def test_an_ablation_extends_an_earlier_one(recipe_file):
    tables = (
        "[ablation.long]\nschedule.epochs = 90\noptimizer.options = { momentum = 0.5 }\n"
        "[ablation.long_adam]\nextends = 'long'\noptimizer.name = 'adam'\n"
        "[ablation.longer_adam]\nextends = 'long_adam'\nschedule.epochs = 99\n"
    )
    path = recipe_file(MINIMAL + tables)
    recipe = load_recipe(path, ablation="longer_adam")
    assert (recipe.schedule.epochs, recipe.optimizer.name) == (99, "adam")
    assert recipe.optimizer.options == {"momentum": 0.5}
    assert load_recipe(path, ablation="long").schedule.epochs == 90
    assert load_recipe(path).schedule.epochs == 30
