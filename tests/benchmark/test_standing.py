"""Where auto and the noise model stand: shares and gaps from scores that are known."""

from vitreous.benchmark.standing import Rivals, standing

RIVALS = Rivals(("gaussian", "nad"), ("n2v", "noise-model"), ("supervised", "n2n"))


def records(case, scores, seeds=(1, 2)):
    return [
        {"case": case, "seed": seed, "method": method, "psnr": psnr + seed}
        for seed in seeds
        for method, psnr in scores.items()
    ]


def test_share_of_the_way_and_gaps():
    found = records(
        "a",
        {"gaussian": 20.0, "nad": 22.0, "n2v": 21.0, "noise-model": 23.5, "supervised": 24.0, "n2n": 23.0},
    )
    found += [
        {"case": "a", "seed": s, "method": "auto", "psnr": 23.5 + s, "chosen": "noise-model"} for s in (1, 2)
    ]
    row = standing(found, RIVALS).rows[0]
    assert row == [
        *("a", "nad 23.50", "noise-model 25.00", "supervised 25.50", "25.00", "0.75"),
        *("noise-model", "+0.00", "+1.50"),
    ]


def test_no_share_where_filter_and_ceiling_are_close():
    found = records("b", {"gaussian": 20.0, "noise-model": 20.3, "supervised": 20.4})
    assert standing(found, RIVALS).rows[0][5] == ""


def test_seeds_that_only_one_method_has_do_not_count():
    found = records("c", {"gaussian": 20.0, "supervised": 22.0}) + records("c", {"noise-model": 21.0}, (1,))
    assert standing(found, RIVALS).rows[0][5] == "0.50"
    assert standing(found, RIVALS).rows[0][4] == "22.00"
