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


def test_ambiguous_name_lists_the_candidates():
    with pytest.raises(RecipeError, match=r"ambiguous.*resnet18/fer2013, resnet18/synthetic"):
        load_recipe("resnet18")


def test_unknown_recipe_names_the_nearest():
    with pytest.raises(RecipeError, match="Did you mean 'despam/fer2013'"):
        load_recipe("despan/fer2013")


def test_missing_file():
    with pytest.raises(RecipeError, match=r"No recipe file nowhere\.toml"):
        load_recipe("nowhere.toml")


def test_not_toml(recipe_file):
    with pytest.raises(RecipeError, match="is not TOML"):
        load_recipe(recipe_file("name = "))


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
        (MINIMAL + "[schedule]\nwarmup_epochs = inf\n", r"'schedule.warmup_epochs' = inf: .*finite"),
        (MINIMAL + "[augmentation]\nmixup = inf\n", r"'augmentation.mixup' = inf: .*finite"),
        (MINIMAL + "[augmentation]\nrandaugment_magnitude = 30\n", r"'augmentation.randaugment_magnitude' = 30"),
        ("ablation = 5\n" + MINIMAL, r"'ablation' holds tables, \[ablation\.NAME\]"),
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


def test_override_with_unknown_key_names_the_nearest():
    with pytest.raises(RecipeError, match=r"unknown key 'schedule.epoch'\. Did you mean 'epochs'\?"):
        load_recipe("despam/fer2013", ["schedule.epoch=3"])


def test_override_without_equals_sign():
    with pytest.raises(RecipeError, match=r"expected key.subkey=value"):
        load_recipe("despam/fer2013", ["schedule.epochs"])


def test_ablation_replaces_and_unknown_ablation_lists():
    assert load_recipe("despam/fer2013", ablation="no_modulator").network.modulators == {"stage2": "none"}
    with pytest.raises(RecipeError, match=r"Did you mean 'no_modulator'\? Ablations: no_modulator"):
        load_recipe("despam/fer2013", ablation="no_modulators")
