"""RFC 9162 section 2.1: known trees, and what holds for every tree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironroot.core import merkle
from ironroot.core.errors import Corrupt, Malformed
from ironroot.core.merkle import Frontier

# The entries and roots that Certificate Transparency's implementations share as test vectors.
ENTRIES = [
    bytes.fromhex(entry)
    for entry in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [merkle.leaf(entry) for entry in ENTRIES]

trees = st.integers(1, 70).map(lambda n: [merkle.leaf(i.to_bytes(2, "big")) for i in range(n)])


@pytest.mark.parametrize("size", range(9))
def test_known_roots(size: int) -> None:
    assert merkle.root(LEAVES[:size]).hex() == ROOTS[size]


def test_known_inclusion_proof() -> None:
    assert [step.hex() for step in merkle.inclusion_proof(LEAVES, 0)] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]


def test_rfc_example_of_seven_entries() -> None:
    """2.1.5: the proofs for d0 and d6 and from three and four entries, by their place in the tree."""
    hashes = LEAVES[:7]
    g, i = merkle.node(hashes[0], hashes[1]), merkle.node(hashes[4], hashes[5])
    h = merkle.node(hashes[2], hashes[3])
    k = merkle.node(g, h)
    last = merkle.node(i, hashes[6])
    assert merkle.inclusion_proof(hashes, 0) == [hashes[1], h, last]
    assert merkle.inclusion_proof(hashes, 6) == [i, k]
    assert merkle.consistency_proof(hashes, 3) == [hashes[2], hashes[3], g, last]
    assert merkle.consistency_proof(hashes, 4) == [last]
    assert merkle.consistency_proof(hashes, 6) == [i, hashes[6], k]


@given(trees)
def test_every_leaf_is_shown_to_be_in_the_tree(leaves: list[bytes]) -> None:
    root = merkle.root(leaves)
    for index, leaf in enumerate(leaves):
        merkle.verify_inclusion(leaf, index, len(leaves), merkle.inclusion_proof(leaves, index), root)


@given(trees, st.data())
def test_a_leaf_elsewhere_is_refused(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    other = data.draw(st.integers(0, len(leaves) - 1).filter(lambda i: i != index or len(leaves) == 1))
    proof, root = merkle.inclusion_proof(leaves, index), merkle.root(leaves)
    forged = merkle.leaf(b"forged")
    wrong = forged if other == index else leaves[other]
    with pytest.raises(Corrupt):
        merkle.verify_inclusion(wrong, index, len(leaves), proof, root)
    for bad in ([*proof, forged], proof[:-1] or [forged]):
        with pytest.raises(Corrupt):
            merkle.verify_inclusion(leaves[index], index, len(leaves), bad, root)
    with pytest.raises(Corrupt):
        merkle.verify_inclusion(leaves[index], len(leaves), len(leaves), proof, root)


@given(trees, st.data())
def test_growth_is_shown_and_nothing_else(leaves: list[bytes], data: st.DataObject) -> None:
    old_size = data.draw(st.integers(0, len(leaves)))
    old, new = merkle.root(leaves[:old_size]), merkle.root(leaves)
    proof = merkle.consistency_proof(leaves, old_size)
    merkle.verify_consistency(old_size, len(leaves), old, new, proof)
    forged = merkle.leaf(b"forged")
    bad = [(forged, new, proof), (old, forged, proof), (old, new, [*proof, forged])]
    if old_size == 0:  # anything grew from nothing
        bad = [(forged, new, proof), (old, new, [forged])]
    if proof:
        bad.append((old, new, proof[:-1]))
    for old_root, new_root, steps in bad:
        with pytest.raises(Corrupt):
            merkle.verify_consistency(old_size, len(leaves), old_root, new_root, steps)


def test_a_shrunk_tree_is_not_consistent() -> None:
    with pytest.raises(Corrupt):
        merkle.verify_consistency(3, 2, merkle.root(LEAVES[:3]), merkle.root(LEAVES[:2]), [])


@given(trees, st.data())
def test_a_frontier_goes_on_from_its_bytes(leaves: list[bytes], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(leaves)))
    parsed = Frontier.parse(Frontier().extend(leaves[:cut]).to_bytes())
    assert parsed.extend(leaves[cut:]) == Frontier().extend(leaves)
    assert len(parsed.peaks) == cut.bit_count()
    one_by_one = Frontier()
    for leaf in leaves:
        one_by_one = one_by_one.append(leaf)
    assert one_by_one.root() == merkle.root(leaves)


@given(st.binary(max_size=120))
def test_a_frontier_has_one_spelling(data: bytes) -> None:
    try:
        frontier = Frontier.parse(data)
    except Malformed:
        return
    assert frontier.to_bytes() == data


@pytest.mark.parametrize("index", [-1, 8])
def test_no_proof_outside_the_tree(index: int) -> None:
    with pytest.raises(IndexError):
        merkle.inclusion_proof(LEAVES, index)
    with pytest.raises(IndexError):
        merkle.consistency_proof(LEAVES, 9)
