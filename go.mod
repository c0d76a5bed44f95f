module wenmo

go 1.26
