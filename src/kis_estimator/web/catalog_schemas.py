"""The JSON of the price book: items as they are read and given, versions, and what changes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import UploadFile
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from kis_estimator.engine.model import AccessoryCategory, Category, Location, Material
from kis_estimator.intake.request import Name
from kis_estimator.service.pricebook_files import Kind
from kis_estimator.web.schemas import Answer, Change, Sha256, Time, Won

_LARGEST = 10**9


def _whole(value: object) -> object:
    """Return 5.0 as 5: to JSON both are the same integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_AS_WHOLE = BeforeValidator(_whole)
Whole = Annotated[int, Field(ge=1, le=_LARGEST, strict=True), _AS_WHOLE]
WholeOrNone = Annotated[
    int, Field(ge=0, le=_LARGEST, strict=True, description="0 = none"), _AS_WHOLE
]
Price = Annotated[
    int, Field(ge=0, le=_LARGEST, strict=True, description="won before VAT"), _AS_WHOLE
]
Measure = Annotated[float, Field(gt=0, le=_LARGEST, strict=True)]
MeasureOrNone = Annotated[float, Field(ge=0, le=_LARGEST, strict=True)]
Label = Annotated[Name, Field(max_length=100)]
BaseNumber = Annotated[
    int,
    Field(ge=0, le=2**31 - 1, description="The version that this was made for; else 409"),
]
IsSample = Annotated[
    bool,
    Field(description="Whether the prices are a sample; left out, it follows from the prices."),
]


def _not_null(schema: dict[str, Any]) -> None:
    """Describe what is left out of a form or given: a form has no null."""
    schema.update(schema.pop("anyOf")[0])


_GIVEN = Field(json_schema_extra=_not_null)


class Given(BaseModel):
    """Camel-case fields; unknown ones are refused by name."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class BreakerGiven(Given):
    """A breaker; `powerLossWPerPole` holds at rated current."""

    kind: Literal["breaker"]
    sku: Name
    brand: Name
    category: Category
    tier: Name
    model: Name
    frame_af: Whole
    poles: Whole
    rated_current_a: Annotated[Whole, Field(description="At most `frameAf`")]
    breaking_capacity_ka: Measure
    width_mm: WholeOrNone
    height_mm: WholeOrNone
    depth_mm: Whole
    power_loss_w_per_pole: MeasureOrNone
    unit_price_krw: Price


class EnclosureGiven(Given):
    """A stock enclosure, outer size."""

    kind: Literal["enclosure"]
    sku: Name
    series: Name
    material: Material
    thickness_mm: Measure
    location: Location
    ip_rating: Annotated[str, Field(pattern=r"^IP[0-6][0-9]$", examples=["IP44"])]
    width_mm: WholeOrNone
    height_mm: WholeOrNone
    depth_mm: Whole
    unit_price_krw: Price


class AccessoryGiven(Given):
    """An accessory; width and height are 0 where it takes no room on the plate."""

    kind: Literal["accessory"]
    sku: Name
    category: AccessoryCategory
    name_ko: Name
    name_en: Name
    width_mm: WholeOrNone
    height_mm: WholeOrNone
    mounting: Name
    unit: Name
    unit_price_krw: Price


AnyGiven = Annotated[BreakerGiven | EnclosureGiven | AccessoryGiven, Field(discriminator="kind")]


class ItemsGiven(BaseModel):
    """Items that replace those of the same sku, or are added."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[
        list[AnyGiven],
        Field(
            min_length=1,
            max_length=10_000,
            examples=[
                [
                    {
                        "kind": "accessory",
                        "sku": "MC-9",
                        "category": "magnet_contactor",
                        "nameKo": "전자접촉기 MC-9~22",
                        "nameEn": "Magnetic contactor 9-22 A",
                        "widthMm": 46,
                        "heightMm": 75,
                        "mounting": "panel",
                        "unit": "EA",
                        "unitPriceKrw": 19500,
                    }
                ]
            ],
        ),
    ]
    preview: Annotated[bool, Field(description="Say what would change, change nothing.")] = False
    base: BaseNumber | None = None
    sample: IsSample | None = None
    name: Name | None = None
    version: Label | None = None


class FileGiven(BaseModel):
    """A price book as a file, and how it is taken in."""

    model_config = ConfigDict(extra="forbid")

    file: Annotated[
        UploadFile,
        Field(description="A CSV of one table, or .xlsx with tabs breakers, enclosures, …"),
    ]
    mode: Annotated[
        Literal["upsert", "replace"],
        Field(description="`replace`: a table of the file becomes exactly its rows."),
    ] = "upsert"
    preview: Annotated[bool, Field(description="Say what would change, change nothing.")] = False
    base: Annotated[BaseNumber | None, _GIVEN] = None
    sample: Annotated[IsSample | None, _GIVEN] = None
    name: Annotated[Name | None, _GIVEN] = None
    version: Annotated[Label | None, _GIVEN] = None


class CatalogItem(Answer):
    """An item; `fields` is what `POST /v1/catalog/items` takes, with `kind`."""

    kind: Kind
    sku: str
    name: str
    unit_price: Won
    fields: dict[str, Any]


class CatalogVersion(Answer):
    """A version of the price book; number 0 is the one that came with the program."""

    number: int
    sha256: Sha256
    name: str
    version: str
    sample: bool


class CatalogList(Answer):
    """A page of items of the version in force."""

    items: list[CatalogItem]
    total: int
    page: int
    size: int
    version: CatalogVersion


class StoredVersion(CatalogVersion):
    """A version in a list; `items` is how many it has."""

    items: int
    created_at: Time


class VersionList(Answer):
    """The versions, the newest first; the first one is in force."""

    items: list[StoredVersion]
    total: int
    page: int
    size: int


class ItemRef(Answer):
    """An item that comes or goes."""

    kind: Kind
    sku: str
    name: str
    unit_price: Won


class ItemChange(ItemRef):
    """An item that differs: its fields before and after, its price also in percent."""

    fields: dict[str, Change]
    price_pct: float | None


class Counts(Answer):
    """How many items."""

    added: int
    removed: int
    changed: int
    unchanged: int


class CatalogChange(Answer):
    """What changes, or has changed: in a preview nothing has.

    `samplePrices` counts the prices of a sample book that are still there: as long as there are
    any, the book stays a sample unless the request says otherwise.
    """

    outcome: Literal["preview", "unchanged", "created"]
    base: Annotated[int, Field(description="The version that it is compared with")]
    version: CatalogVersion
    counts: Counts
    head: Annotated[dict[str, Change], Field(description="name, version, sample where they differ")]
    added: list[ItemRef]
    removed: list[ItemRef]
    changed: list[ItemChange]
    sample_prices: int
