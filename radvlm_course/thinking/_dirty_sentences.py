"""Sentences that a thought must not have, as teachers write them; for :mod:`radvlm_course.thinking.dirty`."""

from __future__ import annotations

REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "I cannot provide medical advice.",
    "As an AI language model, I am not able to interpret this image.",
    "I'm unable to analyze medical images. Please consult a radiologist.",
    "No image was provided.",
)

GIVEN = (
    "As the reference says, the angle is blunted.",
    "This agrees with the ground truth.",
    "The report states that the heart is wide.",
    "According to the given label, there is something at the base.",
    "The provided answer points to the lower zone.",
    "I was told that the finding is on the right.",
    "We already know what has to come out.",
    "This matches the reference report.",
    "The boxes provided lie in the lower half.",
    "The user says that the right side is affected, so the right side it is.",
    "As mentioned in the report, the costophrenic angle is not sharp.",
    "I must not reveal that the answer is known, so the signs come first.",
    "The bounding box annotation covers the lower zone.",
    "The correct diagnosis was supplied, and the film fits it.",
    "Following the reading guide given in the instructions, the pleura is next.",
    "The label clearly indicates the right side.",
)

PRIORS = (
    "The shape of the base is unchanged.",
    "Compared with the prior film, the opacity is larger.",
    "The heart has increased in size since the last examination.",
    "The line seen previously has been removed.",
    "The haze has improved.",
    "There is interval worsening at the base.",
    "The shadow persists.",
    "It was smaller on the earlier radiograph.",
)

FOREIGN = (
    "Das Herz ist deutlich verbreitert und nimmt mehr als die Breite des halben Brustkorbs ein. Der rechte Sinus ist "
    "stumpf und wird von einer nach oben steigenden Verschattung ausgefüllt, die den Rand des Zwerchfells verdeckt.",
    "Le coeur est élargi et dépasse la moitié du diamètre du thorax. Le cul-de-sac droit est comblé par une opacité "
    "dense qui remonte le long de la paroi et efface la coupole du diaphragme de ce même côté.",
    "El corazón está aumentado de tamaño y supera la mitad del diámetro del tórax. El seno costofrénico derecho está "
    "borrado por una opacidad densa que sube por la pared y oculta la cúpula del diafragma de ese lado.",
    "心脏增大。右侧肋膈角变钝。",
    "Сердце расширено, правый рёберно-диафрагмальный синус затенён.",
)

# Runs of the guide and of the prompts.
PROMPTS = (
    "Fluid fills the angle first and rises along the chest wall in a curve, the meniscus.",
    "Follow every tube, line and lead from where it enters to its tip. Name generators, clips, wires.",
    "Each sign is described (place, edge, density, size, the other side) before the finding that it means is named.",
    "It speaks of this film only: no earlier or other examination, no change over time, no history.",
)

MADE_UP_FINDINGS = ("fracture", "emphysema", "hernia", "fibrosis", "lung cyst")
