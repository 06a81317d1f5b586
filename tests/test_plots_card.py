"""The card of a socket: the lit socket, the facts and the code are all on it, in the picture and in words."""
import pytest

from course_utils.plots import card

FACTS = {"host": "ResNet-18", "places": 8, "shape there": "N, 64, 16, 16"}
CODE = 'from course_utils.sockets import plug_in\n\nplug_in(net, "se", at="post")'


def texts(fig):
    return [t.get_text() for ax in fig.axes for t in ax.texts]


def test_facts_and_code_are_in_the_picture_and_in_the_words():
    fig = card("post", FACTS, CODE, title="se at post")
    assert {"host", "ResNet-18", "8", 'plug_in(net, "se", at="post")'} <= set(texts(fig))
    assert all(str(v) in fig.alt for v in FACTS.values()) and 'at="post"' in fig.alt and "post lit" in fig.alt


@pytest.mark.parametrize("socket, shining", [("post", {"4"}), ("both", {"2", "4"}), ("input", {"1"}), ("between", {"7"})])
def test_only_the_named_socket_shines(socket, shining):
    names = [p.get_gid() or "" for ax in card(socket, FACTS, CODE).axes for p in ax.patches]
    lit = {name.split()[1] for name in names if name.endswith(" lit")}
    assert lit == shining


def test_every_line_has_a_height_of_its_own_inside_the_picture():
    fig = card("pre", {f"fact {i}": i for i in range(9)}, CODE)
    ax = fig.axes[0]
    heights = [t.get_position()[1] for t in ax.texts if t.get_text().startswith("fact ")]
    assert len(set(heights)) == 9 and max(heights) < max(ax.get_ylim())


@pytest.mark.parametrize("call, told", [(("nowhere", FACTS, CODE), "nowhere"), (("pre", {}, CODE), "facts and code"),
                                        (("pre", FACTS, "  "), "facts and code")])
def test_wrong_calls_are_told(call, told):
    with pytest.raises(ValueError, match=told):
        card(*call)
