"""What is known of every data set before it is on disk: how large it is, its licence, where it comes from.

``saliency data`` reads these facts: to list the sets, to download them, to say what a complete copy holds.
Reading a set is the business of its own file; nothing here imports more than the standard library.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches


@dataclass(frozen=True)
class RemoteFile:
    """One file of a release on a server.

    Attributes:
        name: of the file once it is here.
        urls: where it is; the later ones are tried when the first fail.
        md5: of the file as served, 32 hex digits; None where the server makes the archive on demand or
            nobody published one.
        into: subfolder of the data set's folder that it goes into, or is unpacked into.
        unpack: whether it is a .zip or .tar.gz to be unpacked.
        strip: so many leading folders of the archive's paths are cut off.
        keep: only archive members below these (after ``strip``) are unpacked; empty: all.
    """

    name: str
    urls: tuple[str, ...]
    md5: str | None = None
    into: str = ""
    unpack: bool = True
    strip: int = 0
    keep: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """One public place to get a data set from.

    Attributes:
        name: what the user calls it (``source=NAME``).
        files: all of them are needed.
        size: bytes that are downloaded, about; None: the server is asked.
        manifest: name of the list of contents in ``data/manifests`` that the unpacked files must equal.
    """

    name: str
    files: tuple[RemoteFile, ...]
    size: int | None = None
    manifest: str | None = None


@dataclass(frozen=True)
class Facts:
    """One data set.

    Attributes:
        title: one line.
        folder: what its folder is called below the root of all data (as in ``configs/data``).
        images: in the complete release, all parts together; of sets of clips the clips.
        viewers: most on one image.
        licence: as the release states it.
        page: where a person reads about it.
        tree: the files that the loader expects below the folder, one a line.
        fixations: in the complete release, as its loader reads them with its default options; None: not
            established.
        parts: images of each official part, where only some parts may be on disk.
        sources: public places, the preferred one first; empty: see ``steps``.
        steps: what a person does to get it, where a form, a login or a hand-made link is in the way.
    """

    title: str
    folder: str
    images: int
    viewers: int | None
    licence: str
    page: str
    tree: tuple[str, ...]
    fixations: int | None = None
    parts: dict[str, int] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    steps: tuple[str, ...] = ()


def _github(repository: str, commit: str, keep: tuple[str, ...]) -> RemoteFile:
    """A repository at one commit. GitHub makes the archive on demand, so its bytes have no fixed checksum."""
    name = repository.rsplit("/", 1)[1]
    return RemoteFile(
        f"{name}-{commit[:12]}.tar.gz",
        (
            f"https://github.com/{repository}/archive/{commit}.tar.gz",
            f"https://codeload.github.com/{repository}/tar.gz/{commit}",
        ),
        strip=1,
        keep=keep,
    )


_OSIE = Source(
    "github",
    (
        _github(
            "NUS-VIP/predicting-human-gaze-beyond-pixels",
            "4a467890fcb40a2fec04cdded552760942bac7a4",
            ("data/stimuli/", "data/eye/", "data/mouse_lab/", "data/mouse_amt/", "LICENSE", "README.md"),
        ),
    ),
    size=82_000_000,
    manifest="osie",
)
_BUBBLEVIEW = Source(
    "github",
    (
        _github(
            "cvzoya/bubbleview",
            "598b89b829912bb5e291084a63c61a764dba24f4",
            ("targets_fiwi/", "targets_salicon/", "fiwi_eyetrack.mat", "salicon_gt.mat", "README.md"),
        ),
    ),
    size=139_000_000,
    manifest="bubbleview",
)
_JUDD = "http://people.csail.mit.edu/tjudd/WherePeopleLook"
_STONY_BROOK = "http://vision.cs.stonybrook.edu/~cvlab_download"
_COCO_IMAGES = (
    RemoteFile(
        "COCOSearch18-images-TP.zip",
        (f"{_STONY_BROOK}/COCOSearch18-images-TP.zip",),
        md5="4a815bb591cb463ab77e5ba0c68fedfb",
    ),
    RemoteFile(
        "COCOSearch18-images-TA.zip",
        (f"{_STONY_BROOK}/COCOSearch18-images-TA.zip",),
        md5="85af7d74fa57c202320fa5e7d0dcc187",
    ),
)
_DRIVE = "https://drive.google.com/uc?id="

_MSU_TREE = (
    "Videos/<name>.mp4                      each folder may have another in it (Train, Test)",
    "Fixations{Train,Test}/<name>/fixations.json",
    "Saliency{Train,Test}/<name>.mp4        (only for data.maps=true)",
    "TrainTestSplit.json",
)


def _stavis(packaged: str, title: str, videos: int) -> Facts:
    """One of the sets that STAViS packaged."""
    return Facts(
        title,
        "STAViS",
        images=videos,
        viewers=None,
        licence="of each source",
        page="http://cvsp.cs.ntua.gr/research/stavis/",
        tree=(
            f"video_frames/{packaged}/<video>/img_00001.jpg ...",
            f"annotations/{packaged}/<video>/maps/fixMap_00001.mat ...",
            f"annotations/{packaged}/<video>/maps/eyeMap_00001.jpg ...   (only for data.maps=true)",
            f"fold_lists/{packaged}_list_{{train,test}}_*fps.txt",
        ),
        steps=(
            "Download video frames, annotations and fold lists from the page above.",
            "Unpack them so that the tree below results, then check it.",
        ),
    )


CATALOGUE: dict[str, Facts] = {
    "osie": Facts(
        "everyday scenes with many objects, 3 s of free viewing",
        "OSIE",
        images=700,
        viewers=15,
        fixations=98_321,
        licence="MIT",
        page="https://github.com/NUS-VIP/predicting-human-gaze-beyond-pixels",
        tree=("data/stimuli/1001.jpg ... 1700.jpg", "data/eye/fixations.mat"),
        sources=(_OSIE,),
    ),
    "osie_mouse": Facts(
        "the pictures of OSIE, explored with a mouse",
        "OSIE",
        images=700,
        viewers=None,
        licence="MIT",
        page="https://github.com/NUS-VIP/predicting-human-gaze-beyond-pixels",
        tree=(
            "data/stimuli/1001.jpg ... 1700.jpg",
            "data/mouse_lab/1001.mat ... 1700.mat",
            "data/mouse_amt/1001.mat ... 1700.mat",
        ),
        sources=(_OSIE,),
    ),
    "eyecrowd": Facts(
        "pictures of crowds, 5 s of free viewing",
        "EyeCrowd",
        images=500,
        viewers=16,
        fixations=126_348,
        licence="MIT",
        page="https://github.com/NUS-VIP/saliency-in-crowd",
        tree=("data/stimuli/001.jpg ... 500.jpg", "data/eye/fixations.mat"),
        sources=(
            Source(
                "github",
                (
                    _github(
                        "NUS-VIP/saliency-in-crowd",
                        "8bb0416ee9942346f0a990f87a1325742fe3293f",
                        ("data/stimuli/", "data/eye/", "LICENSE", "README.md"),
                    ),
                ),
                size=190_000_000,
                manifest="eyecrowd",
            ),
        ),
    ),
    "sun500": Facts(
        "scenes of SUN2012, 3 s of free viewing, with onsets",
        "SUN500",
        images=500,
        viewers=12,
        fixations=43_894,
        licence="MIT",
        page="https://github.com/Yanakz/Scene",
        tree=("data/stimuli/001.jpg ... 500.jpg", "data/tidy/fixations.mat", "data/tidy/imgInfo.mat"),
        sources=(
            Source(
                "github",
                (
                    _github(
                        "Yanakz/Scene",
                        "2cf042b013181a6339378827d094aafa9322ba0d",
                        ("data/stimuli/", "data/tidy/", "data/LICENSE.txt", "LICENSE", "README.md"),
                    ),
                ),
                size=57_000_000,
                manifest="sun500",
            ),
        ),
    ),
    "mit1003": Facts(
        "pictures of Flickr and LabelMe, 3 s of free viewing",
        "MIT1003",
        images=1003,
        viewers=15,
        licence="none stated",
        page=f"{_JUDD}/index.html",
        tree=(
            "ALLSTIMULI/*.jpeg                      the original release, with raw samples:",
            "DATA/<viewer>/*.mat",
            "ALLFIXATIONMAPS/*_fixMap.jpg           (only for data.maps=true)",
            "data/mit/stimuli/*.jpg                 or the packaging of NUS VIP, without onsets:",
            "data/mit/eye/fixations.mat",
        ),
        sources=(
            Source(
                "nusvip",
                (
                    _github(
                        "NUS-VIP/ksvd-saliency",
                        "32732fed96959c053b802e46433e58eef00535f6",
                        ("data/mit/stimuli/", "data/mit/eye/", "README.md"),
                    ),
                ),
                size=155_000_000,
                manifest="mit1003",
            ),
            Source(
                "original",
                (
                    RemoteFile(
                        "ALLSTIMULI.zip",
                        (f"{_JUDD}/ALLSTIMULI.zip",),
                        md5="0d7df8b954ecba69b6796e77b9afe4b6",
                    ),
                    RemoteFile("DATA.zip", (f"{_JUDD}/DATA.zip",), md5="ea19d74ad0a0144428c53e9d75c2d71c"),
                    RemoteFile("ALLFIXATIONMAPS.zip", (f"{_JUDD}/ALLFIXATIONMAPS.zip",)),
                ),
            ),
        ),
    ),
    "mit300": Facts(
        "pictures of the MIT/Tübingen benchmark, fixations held back",
        "MIT300",
        images=300,
        viewers=0,
        licence="none stated",
        page="http://saliency.mit.edu/results_mit300.html",
        tree=("BenchmarkIMAGES/*.jpg",),
        sources=(
            Source(
                "original",
                (
                    RemoteFile(
                        "BenchmarkIMAGES.zip",
                        ("http://saliency.mit.edu/BenchmarkIMAGES.zip",),
                        md5="03ed32bdf5e4289950cd28df89451260",
                    ),
                ),
            ),
        ),
    ),
    "cat2000": Facts(
        "twenty categories of pictures, 5 s of free viewing",
        "CAT2000",
        images=2000,
        viewers=None,
        licence="none stated",
        page="http://saliency.mit.edu/results_cat2000.html",
        tree=(
            "trainSet/Stimuli/<category>/001.jpg ... 200.jpg",
            "trainSet/FIXATIONLOCS/<category>/001.mat ...",
            "trainSet/FIXATIONMAPS/<category>/001.jpg ...",
            "testSet/Stimuli/<category>/...         (only for data.part=test)",
        ),
        sources=(
            Source(
                "original",
                (
                    RemoteFile(
                        "trainSet.zip",
                        ("http://saliency.mit.edu/trainSet.zip",),
                        md5="56ad5c77e6c8f72ed9ef2901628d6e48",
                    ),
                    RemoteFile(
                        "testSet.zip",
                        ("http://saliency.mit.edu/testSet.zip",),
                        md5="903ec668df2e5a8470aef9d8654e7985",
                    ),
                ),
            ),
        ),
    ),
    "salicon": Facts(
        "COCO pictures explored with a mouse, 5 s; editions 2017, 2015",
        "SALICON",
        images=20_000,
        viewers=None,
        parts={"train": 10_000, "val": 5_000, "test": 5_000},
        licence="CC BY 4.0 (gaze)",
        page="http://salicon.net/challenge-2017/",
        tree=(
            "images/{train,val,test}/COCO_*2014_*.jpg",
            "fixations/{train,val}/COCO_*2014_*.mat   of edition 2017 or of edition 2015",
            "maps/{train,val}/COCO_*2014_*.png        (only for data.maps=official)",
        ),
        steps=(
            "Open each link in a browser (Google Drive asks before it hands out large files):",
            f"  images              {_DRIVE}1g8j-hTT-51IG1UFwP0xTGhLdgIUCW5e5",
            f"  fixations of 2017   {_DRIVE}1P-jeZXCsjoKO79OhFUgnj6FGcyvmLDPj",
            f"  fixations of 2015   {_DRIVE}1WVEiXba-I4GN33f0uUl4KhaN1rK7qzs6",
            f"  maps                {_DRIVE}1PnO7szbdub1559LfjYHMy65EDC4VhJC8",
            "Take the fixations of one edition only: scores on the two cannot be compared.",
            "Unpack them so that the tree below results, then check it.",
        ),
    ),
    "salicon_bubbleview": Facts(
        "raw mouse tracks on 51 pictures of SALICON",
        "bubbleview",
        images=51,
        viewers=None,
        licence="none stated",
        page="https://github.com/cvzoya/bubbleview",
        tree=("targets_salicon/*.jpg", "salicon_gt.mat"),
        sources=(_BUBBLEVIEW,),
    ),
    "fiwi": Facts(
        "web pages, density maps only",
        "FIWI",
        images=149,
        viewers=11,
        licence="none stated",
        page="Shen, Zhao, Webpage saliency, ECCV 2014",
        tree=("stimuli/*.png", "all5/*.png"),
        steps=(
            "Ask the authors of the paper above for the release; its page has moved more than once.",
            "Unpack it so that the tree below results, then check it.",
            "Fixations on 51 of the pages are public: saliency data download fiwi_bubbleview",
        ),
    ),
    "fiwi_bubbleview": Facts(
        "web pages, 5 s of free viewing, with onsets",
        "bubbleview",
        images=51,
        viewers=11,
        licence="none stated",
        page="https://github.com/cvzoya/bubbleview",
        tree=("targets_fiwi/*.png", "fiwi_eyetrack.mat"),
        sources=(_BUBBLEVIEW,),
    ),
    "ueyes": Facts(
        "web pages, desktop and mobile interfaces, posters; 7 s",
        "UEyes",
        images=1980,
        viewers=62,
        licence="CC BY 4.0",
        page="https://zenodo.org/records/8010312",
        tree=(
            "images/*.png|jpg                       or images/block N/...",
            "eyetracker_logs/*_fixations.csv",
            "info.csv",
            "saliency_maps/heatmaps_{1s,3s,7s}/...  (only for data.maps=true)",
        ),
        steps=(
            "Download the archive from the page above (no registration).",
            "Unpack it so that the tree below results, then check it.",
        ),
    ),
    "saleci": Facts(
        "pictures of online shops",
        "SalECI",
        images=972,
        viewers=None,
        licence="none stated",
        page="https://github.com/leafy-lee/E-commercial-dataset",
        tree=("ALLSTIMULI/N.jpg", "ALLFIXATIONMAPS/N_fixPts.jpg", "ALLFIXATIONMAPS/N_fixMap.jpg"),
        steps=(
            "Follow the link to the data in the read-me of the page above.",
            "Unpack it so that the tree below results, then check it.",
        ),
    ),
    "coco_freeview": Facts(
        "COCO pictures on a padded screen, free viewing",
        "COCO-FreeView",
        images=5317,
        viewers=10,
        licence="none stated",
        page="https://sites.google.com/view/cocosearch/coco-freeview",
        tree=(
            "COCOFreeView_fixations_trainval.json",
            "images/<target>/*.jpg",
            "coco_search18_images_TA/<target>/*.jpg",
        ),
        sources=(
            Source(
                "original",
                (
                    *_COCO_IMAGES,
                    RemoteFile(
                        "COCOFreeView_fixations_trainval.json",
                        (f"{_STONY_BROOK}/COCOFreeView_fixations_trainval.json",),
                        md5="c7f2fbc92afbe55d4dedc445ac2063d3",
                        unpack=False,
                    ),
                ),
            ),
        ),
    ),
    "coco_search18": Facts(
        "COCO pictures searched for one of 18 targets",
        "COCO-Search18",
        images=6202,
        viewers=10,
        licence="none stated",
        page="https://sites.google.com/view/cocosearch",
        tree=(
            "coco_search18_fixations_T{P,A}_*.json",
            "images/<target>/*.jpg                  target present",
            "coco_search18_images_TA/<target>/*.jpg target absent",
        ),
        sources=(
            Source(
                "original",
                (
                    *_COCO_IMAGES,
                    RemoteFile(
                        "COCOSearch18-fixations-TP.zip",
                        (f"{_STONY_BROOK}/COCOSearch18-fixations-TP.zip",),
                        md5="bfcf4c005a89c43a1719b28b028c5499",
                    ),
                    RemoteFile(
                        "coco_search18_fixations_TA_trainval.json",
                        (f"{_STONY_BROOK}/coco_search18_fixations_TA_trainval.json",),
                        unpack=False,
                    ),
                ),
            ),
        ),
    ),
    "dut_omron": Facts(
        "pictures of a salient-object benchmark, 2 s",
        "DUT-OMRON",
        images=5168,
        viewers=5,
        licence="none stated",
        page="http://saliencydetection.net/dut-omron",
        tree=("DUT-OMRON-image/*.jpg", "DUT-OMRON-eye-fixations/mat/*.mat"),
        sources=(
            Source(
                "original",
                (
                    RemoteFile(
                        "DUT-OMRON-image.zip",
                        ("http://saliencydetection.net/dut-omron/download/DUT-OMRON-image.zip",),
                        md5="a8951db9297afacf78bc0e5079103cf1",
                    ),
                    RemoteFile(
                        "DUT-OMRON-eye-fixations.zip",
                        ("http://saliencydetection.net/dut-omron/download/DUT-OMRON-eye-fixations.zip",),
                        md5="d9f4f83fcc78b1e5efb579ae9fb0edc2",
                    ),
                ),
            ),
        ),
    ),
    "pascal_s": Facts(
        "pictures of PASCAL VOC 2010, 2 s of free viewing",
        "PASCAL-S",
        images=850,
        viewers=8,
        licence="none stated",
        page="http://cbs.ic.gatech.edu/salobj",
        tree=("datasets/imgs/pascal/1.jpg ... 850.jpg", "datasets/fixations/pascalFix.mat"),
        sources=(
            Source(
                "original",
                (
                    RemoteFile(
                        "salObj.zip",
                        ("http://cbs.ic.gatech.edu/salobj/download/salObj.zip",),
                        md5="e48b4e5deac08bddcaec55ce56e4d420",
                    ),
                ),
            ),
        ),
    ),
    "toronto": Facts(
        "indoor and outdoor scenes, 4 s of free viewing",
        "Toronto",
        images=120,
        viewers=20,
        licence="none stated",
        page="http://www-sop.inria.fr/members/Neil.Bruce/",
        tree=(
            "eyetrackingdata/fixdens/Original Image Set/1.jpg ... 120.jpg",
            "eyetrackingdata/fixdens/origfixdata.mat",
        ),
        sources=(
            Source(
                "original",
                (
                    RemoteFile(
                        "eyetrackingdata.zip",
                        ("http://www-sop.inria.fr/members/Neil.Bruce/eyetrackingdata.zip",),
                    ),
                ),
            ),
        ),
    ),
    "figrim": Facts(
        "scenes looked at to be remembered, 2 s",
        "FIGRIM",
        images=2787,
        viewers=None,
        licence="none stated",
        page="http://figrim.mit.edu/index_eyetracking.html",
        tree=(
            "Targets/<category>/*.jpg",
            "Fillers/<category>/*.jpg",
            "allImages_release.mat",
            "allImages_fillers.mat",
        ),
        sources=(
            Source(
                "original",
                (
                    RemoteFile(
                        "Targets.zip",
                        ("http://figrim.mit.edu/Targets.zip",),
                        md5="2ad3a42ebc377efe4b39064405568201",
                    ),
                    RemoteFile(
                        "Fillers.zip",
                        ("http://figrim.mit.edu/Fillers.zip",),
                        md5="dc0bc9561b5bc90e158ec32074dd1060",
                    ),
                    RemoteFile(
                        "allImages_release.mat",
                        (
                            "https://github.com/cvzoya/figrim/raw/master/targetData/allImages_release.mat",
                            "https://raw.githubusercontent.com/cvzoya/figrim/master/targetData/allImages_release.mat",
                        ),
                        md5="c72843b05e95ab27594c1d11c849c897",
                        unpack=False,
                    ),
                    RemoteFile(
                        "allImages_fillers.mat",
                        (
                            "https://github.com/cvzoya/figrim/raw/master/fillerData/allImages_fillers.mat",
                            "https://raw.githubusercontent.com/cvzoya/figrim/master/fillerData/allImages_fillers.mat",
                        ),
                        md5="ce4f8b4961005d62f7a21191a64cab5e",
                        unpack=False,
                    ),
                ),
            ),
        ),
    ),
    "dhf1k": Facts(
        "videos of everyday scenes, free viewing; test held back",
        "DHF1K",
        images=1000,
        viewers=17,
        parts={"train": 600, "val": 100, "test": 300},
        licence="CC BY 4.0",
        page="https://github.com/wenguanwang/DHF1K",
        tree=(
            "video/001.AVI ... 1000.AVI             or annotation/NNNN/images/0001.png ...",
            "annotation/NNNN/fixation/0001.png ...  or fixation/maps/0001.mat ...",
            "annotation/NNNN/maps/0001.png ...      (only for data.maps=true)",
            "exportdata_train/P01/P01_Trail001.txt  (only for data.gaze=raw)",
        ),
        steps=(
            "Follow the links to videos, annotation and raw gaze in the read-me of the page above.",
            "Unpack them so that the tree below results, then check it.",
        ),
    ),
    "hollywood2": Facts(
        "shots of films, viewers naming the action",
        "Hollywood-2",
        images=6257,
        viewers=16,
        parts={"train": 2699, "test": 3558},
        licence="research (gaze)",
        page="https://github.com/wenguanwang/DHF1K",
        tree=(
            "{training,testing}/actionclip*/images/*_00001.png ...",
            "{training,testing}/actionclip*/fixation/*_00001.png ...",
            "{training,testing}/actionclip*/maps/*_00001.png ...   (only for data.maps=true)",
        ),
        steps=(
            "Follow the link to Hollywood-2 in the read-me of the page above (75 GB).",
            "Unpack it so that the tree below results, then check it.",
        ),
    ),
    "ucf_sports": Facts(
        "clips of sports, viewers naming the action",
        "UCF-Sports",
        images=150,
        viewers=16,
        parts={"train": 103, "test": 47},
        licence="research (gaze)",
        page="https://github.com/wenguanwang/DHF1K",
        tree=(
            "{training,testing}/<action>-<NNN>/images/<action>_<NNN>_001.png ...",
            "{training,testing}/<action>-<NNN>/fixation/<action>_<NNN>_001.png ...",
            "{training,testing}/<action>-<NNN>/maps/*.png          (only for data.maps=true)",
        ),
        steps=(
            "Follow the link to UCF Sports in the read-me of the page above.",
            "Unpack it so that the tree below results, then check it.",
        ),
    ),
    "avimos": Facts(
        "videos with sound, explored with a mouse; AIM 2024",
        "AViMoS",
        images=1500,
        viewers=None,
        parts={"train": 1000, "test": 500},
        licence="CC BY 4.0",
        page="https://huggingface.co/datasets/ANDRYHA/AudioVisualMouseSaliency",
        tree=_MSU_TREE,
        steps=(
            "Download the archives from the page above (no registration): Videos.zip (23.5 GB),",
            "SaliencyTrain.zip (12 GB), SaliencyTest.zip (6.2 GB), FixationsTrain.zip (1.2 GB),",
            "FixationsTest.zip (0.6 GB), TrainTestSplit.json.",
            "Unpack each into a folder of its name so that the tree below results, then check it.",
        ),
    ),
    "ntire2026": Facts(
        "videos with sound, explored with a mouse; NTIRE 2026",
        "NTIRE2026",
        images=2000,
        viewers=None,
        parts={"train": 1200, "test": 800},
        licence="CC BY 4.0",
        page="https://huggingface.co/datasets/ANDRYHA/VideoSaliencyChallenge",
        tree=_MSU_TREE,
        steps=(
            "Download the archives from the page above (no registration).",
            "Unpack each into a folder of its name so that the tree below results, then check it.",
        ),
    ),
    "crowdsal": Facts(
        "videos with sound, explored with a mouse",
        "CrowdSAL",
        images=5000,
        viewers=None,
        licence="CC BY 4.0",
        page="https://huggingface.co/datasets/ANDRYHA/CrowdSAL",
        tree=(
            "{Train,Test}/Videos/NNNN.mp4",
            "{Train,Test}/Fixations/NNNN.json",
            "{Train,Test}/Saliency/NNNN.mp4         (only for data.maps=true)",
        ),
        steps=("Download the folders Train and Test from the page above (no registration), then check them.",),
    ),
    "avad": _stavis("AVAD", "short clips with sound", 45),
    "coutrot1": _stavis("Coutrot_db1", "objects, landscapes, faces, with sound", 60),
    "coutrot2": _stavis("Coutrot_db2", "four people in conversation, with sound", 15),
    "diem": _stavis("DIEM", "films, advertisements, games, with sound", 81),
    "etmd": _stavis("ETMD_av", "clips of Hollywood films, with sound", 12),
    "summe": _stavis("SumMe", "user videos, with sound", 25),
    "savam": Facts(
        "clips of films in full HD",
        "SAVAM",
        images=41,
        viewers=50,
        licence="none stated",
        page="https://github.com/msu-video-group/video-saliency-prediction-benchmark",
        tree=(
            "videos/<name>.avi                      or frames in videos/<name>/",
            "savam_GT/<name>/fixations/<frame>.png",
            "savam_GT/<name>/gaussians/<frame>.png  (only for data.maps=true)",
        ),
        steps=(
            "Ask the authors of the page above for videos and ground truth.",
            "Unpack them so that the tree below results, then check it.",
        ),
    ),
}

WITHOUT_RELEASE = {
    "synthetic": "drawn scenes, simulated viewers: generated on demand",
    "synthetic_video": "drawn clips, simulated viewers: generated on demand",
    "folder": "your own images, fixations and maps in one folder",
    "video_folder": "your own videos, fixations and maps in one folder",
    "pysaliency": "stimuli.hdf5 and fixations.hdf5 written by pysaliency",
    "union": "several data sets as one (data.sets=[...])",
}
"""What ``data=NAME`` also takes: sets that nobody releases, so that there is nothing to get."""


def facts(name: str) -> Facts:
    """The facts of one data set.

    Raises:
        ValueError: there is no such set; the message suggests the nearest name.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    if name in WITHOUT_RELEASE:
        raise ValueError(f"{name} is not a release to be had somewhere: {WITHOUT_RELEASE[name]}")
    near = get_close_matches(name.lower().replace("-", "_"), CATALOGUE, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(CATALOGUE)}"
    raise ValueError(f"there is no data set '{name}'; {hint} (saliency data list)")


def readable_size(size: int | None) -> str:
    """Bytes as a person reads them, in powers of 1000."""
    if size is None:
        return "?"
    amount, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 999.5:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"
